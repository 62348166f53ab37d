# Finding and calling the Swift toolchain. Sourced by the scripts, from the project's root.

require_swift() {
  if ! command -v swift >/dev/null; then
    echo "error: swift was not found. Install Swift 6.2 or later from https://swift.org/install and put it on PATH." >&2
    return 1
  fi
}

# Flags of a release build whose executables run where no Swift is installed. macOS has Swift in the system.
release_flags=(-c release)
if [[ $(uname) != Darwin ]]; then release_flags+=(--static-swift-stdlib); fi
