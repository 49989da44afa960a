#!/usr/bin/env bash
# Fetches the public repositories of scripts/corpus.txt into a folder and says how far Cofferdam gets with the Jenkinsfiles in them:
#   scripts/corpus.sh FOLDER [--json] [--verbose] [--assume]
# What is there already is not fetched again. A repository that cannot be had is named, and left out.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
folder=$1
shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
export GIT_TERMINAL_PROMPT=0
while read -r repository commit most pattern; do
  case $repository in '' | '#'*) continue ;; esac
  place=$folder/${repository//\//+}
  [ ! -e "$place" ] || continue
  work=$(mktemp -d)
  # Few files of a large repository: their names first, and then what is in them.
  if git init --quiet "$work/git" \
    && git -C "$work/git" remote add origin "https://github.com/$repository.git" \
    && git -C "$work/git" config remote.origin.promisor true \
    && git -C "$work/git" fetch --quiet --depth 1 --filter=blob:none origin "$commit"; then
    mkdir "$work/files"
    # Evenly from all of them, in the order of their names.
    git -C "$work/git" ls-tree -r --name-only "$commit" | LC_ALL=C sort | { grep -E "$pattern" || true; } > "$work/names"
    awk -v most="$most" '{ name[NR] = $0 } END { n = NR < most ? NR : most; for (i = 0; i < n; i++) print name[int(i * NR / n) + 1] }' \
      "$work/names" | while read -r name; do
      mkdir -p "$work/files/$(dirname "$name")"
      git -C "$work/git" show "$commit:$name" > "$work/files/$name"
    done
    # Whole, or not there.
    mv "$work/files" "$place"
  else
    echo "$repository cannot be fetched" >&2
  fi
  rm -rf "$work"
done < scripts/corpus.txt
cargo run --quiet --locked --release -p pipeline --example coverage -- "$@" "$folder"
