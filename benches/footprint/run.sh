#!/usr/bin/env bash
# Prints, as tables of Markdown, how long the library takes to build and how large programs with it
# are. Takes minutes: it builds in a directory of its own, from nothing.
set -euo pipefail
cd "$(dirname "$0")"

built=../../target/footprint
rm -rf "$built"
mkdir -p "$built"
CARGO_TARGET_DIR=$(realpath "$built")
TIMES=$CARGO_TARGET_DIR/times.txt
export CARGO_TARGET_DIR TIMES

# Nothing that is downloaded counts.
cargo fetch --locked --quiet
TIMEFORMAT='total %R %U %S'
{ time RUSTC_WRAPPER=$PWD/timed-rustc cargo build --locked --release --quiet -p lossgrad 2>&3; } \
    3>&2 2>"$TIMES.total"
cargo build --locked --release --quiet

echo "$(rustc --version), $(nproc) cores"
echo
echo '| built for release | seconds | seconds of CPU |'
echo '|---|--:|--:|'
# row NAME CRATE FILE
row() {
    awk -v name="$1" -v crate="$2" \
        '$1 == crate { printf "| %s | %.0f | %.0f |\n", name, $2, $3 + $4 }' "$3"
}
row 'the library with its dependencies' total "$TIMES.total"
row 'the library alone' lossgrad "$TIMES"

echo
echo '| a stripped program with | KiB |'
echo '|---|--:|'
# size NAME PROGRAM
size() {
    local bytes
    bytes=$(stat -c %s "$CARGO_TARGET_DIR/release/$2")
    echo "| $1 | $(((bytes + 512) / 1024)) |"
}
size 'no loss' none
size 'one loss, f32' one
size 'all losses, f32 and f64' all
