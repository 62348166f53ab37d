# Where downloads and builds that outlive a checkout are kept. Sourced by the scripts.

# Creates and prints ${XDG_CACHE_HOME:-~/.cache}/drydock, or a private folder under the temporary directory
# where the caller has no home.
drydock_cache() {
  local cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
  cache=${cache:-${TMPDIR:-/tmp}/cache-of-$(id -u)}/drydock
  mkdir -p "$cache" && [[ -w $cache ]] && printf '%s\n' "$cache"
}
