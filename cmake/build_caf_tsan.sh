#!/usr/bin/env bash
# Builds Debian's CAF with ThreadSanitizer into the folder given: build_caf_tsan.sh PREFIX. Takes about five minutes, once.
# Debian's own library is not instrumented, so every message between actors would look like a race.
set -euo pipefail
prefix=$(mkdir -p "$1" && cd "$1" && pwd)
[ -f "$prefix/lib/libcaf_core.so" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The sources of the same release that the binary packages come from.
mkdir -p "$work/lists" "$work/cache"
for list in /etc/apt/sources.list.d/*.sources; do
  grep -q debian-archive-keyring "$list" && sed 's/^Types:.*/Types: deb-src/' "$list" >>"$work/src.sources" && echo >>"$work/src.sources"
done
grep -hs '^deb .*debian' /etc/apt/sources.list | sed 's/^deb /deb-src /' >"$work/src.list" || true
mkdir -p "$work/parts"
[ -s "$work/src.sources" ] && cp "$work/src.sources" "$work/parts/src.sources"
[ -s "$work/src.list" ] && cp "$work/src.list" "$work/parts/src.list"
apt=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update -qq
# The release as its authors packed it; Debian's changes to it are about packaging. Mirrors may not have those.
apt-get "${apt[@]}" source --print-uris -qq actor-framework | grep '\.orig\.tar' >"$work/uri"
read -r uri file _ sum <"$work/uri"
/usr/lib/apt/apt-helper download-file "${uri//\'/}" "$work/$file" "$sum" >/dev/null
mkdir "$work/caf"
tar -xf "$work/$file" -C "$work/caf" --strip-components=1
cd "$work/caf"
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX="$prefix" \
  -DCMAKE_CXX_FLAGS="-fsanitize=thread -include limits" -DCMAKE_SHARED_LINKER_FLAGS=-fsanitize=thread \
  -DCAF_NO_UNIT_TESTS=ON -DCAF_NO_EXAMPLES=ON -DCAF_NO_TOOLS=ON -DCAF_NO_OPENSSL=ON -DCAF_NO_IO=ON \
  -DCAF_NO_PYTHON=ON >/dev/null
ninja -C build install >/dev/null
