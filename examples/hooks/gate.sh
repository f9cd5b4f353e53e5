#!/bin/sh
# A hook in shell, for `hooks.pre_promote`: no tag moves while a file named FREEZE lies in the layer's folder.
#
# It reads one JSON document on stdin and answers with one on stdout. What is for people goes to stderr.
set -eu
# All that it needs of the document are texts without quotes, so no JSON parser is asked for.
document=$(cat)
field() { printf '%s' "$document" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
echo "asked about $(field layer) in $(field workspace), run $(field run)" >&2
if [ -e "$(field folder)/FREEZE" ]; then
  printf '{"ok":false,"message":"%s is frozen"}\n' "$(field layer)"
else
  printf '{"ok":true}\n'
fi
