# Finding and calling the Swift toolchain. Sourced by the scripts, from the project's root.

require_swift() {
  if ! command -v swift >/dev/null; then
    echo "error: swift was not found. Install Swift 6.2 or later from https://swift.org/install and put it on PATH." >&2
    return 1
  fi
}

# A release build of the one executable that holds all commands; it runs where no Swift is installed (macOS has Swift in
# the system) and has no symbols. It has a folder of its own, because the flag that links Swift statically makes the
# package manager compile all again.
static_scratch=.build/static
static_build=(swift build -c release --scratch-path "$static_scratch" --product drydock)
if [[ $(uname) != Darwin ]]; then static_build+=(--static-swift-stdlib -Xlinker -s); fi

# build_with_progress LOG COMMAND...: runs a build whose lines go to LOG; prints how far it is, and the errors if it
# fails. Says before how long it took last.
build_with_progress() {
  local log=$1 took=$1.seconds began=$SECONDS
  shift
  mkdir -p "$(dirname "$log")"
  if [[ -s $took ]]; then printf 'last time this took %s s\n' "$(<"$took")"
  else echo "the first time this takes some minutes, nearly all of it for packages that are compiled once"; fi
  "$@" </dev/null 2>&1 | tee "$log" | progress
  if ((PIPESTATUS[0] != 0)); then
    grep -E 'error:' "$log" || tail -n 20 "$log"
    echo "the whole output is in $log"
    return 1
  fi
  echo $((SECONDS - began)) >"$took"
}

# The `[12/345] …` of a build as one line that is overwritten on a terminal, and as a line for each tenth elsewhere.
progress() {
  local line tenth last=-1
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*) ]] || continue
    if [[ -t 1 ]]; then
      printf '\r\033[K[%s/%s] %.60s' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
    else
      tenth=$((BASH_REMATCH[1] * 10 / (BASH_REMATCH[2] > 0 ? BASH_REMATCH[2] : 1)))
      if ((tenth > last)); then printf '[%s/%s]\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"; last=$tenth; fi
    fi
  done
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
}
