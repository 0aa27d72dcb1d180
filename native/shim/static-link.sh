# Prints the linker flags for a shim that needs no shared library, as far as this machine has the static ones: a thousand shims
# then share all but a few pages, and each starts in half the time.
probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
for flags in '-static -no-pie' '-static-libstdc++ -static-libgcc'; do
  if echo 'int main() { throw 1; }' | ${CXX:-c++} -x c++ - $flags -o "$probe" 2>/dev/null; then
    echo "$flags"
    break
  fi
done
