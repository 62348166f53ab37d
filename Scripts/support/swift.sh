# Finding and calling the Swift toolchain. Sourced by the scripts, from the project's root.

require_swift() {
  if ! command -v swift >/dev/null; then
    echo "error: swift was not found. Install Swift 6.2 or later from https://swift.org/install and put it on PATH." >&2
    return 1
  fi
}

# A release build whose executables run where no Swift is installed (macOS has Swift in the system). It has a folder of
# its own, because the flag that links Swift statically makes the package manager compile all again.
static_build=(swift build -c release --scratch-path .build/static)
if [[ $(uname) != Darwin ]]; then static_build+=(--static-swift-stdlib); fi
static_bin=.build/static/release
