#!/usr/bin/env nu
# The same hook in Nushell: no tag moves while a file named FREEZE lies in the layer's folder.
def main [] {
  let asked = (^cat | from json)
  print --stderr $"asked about ($asked.layer) in ($asked.workspace), run ($asked.run)"
  if ($asked.folder | path join "FREEZE" | path exists) {
    { ok: false, message: $"($asked.layer) is frozen" } | to json --raw | print
  } else {
    { ok: true } | to json --raw | print
  }
}
