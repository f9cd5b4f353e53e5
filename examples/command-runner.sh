#!/bin/sh
# A runner of the kind `command`, in shell: leases the engines of a list, addresses of buildkitd and, behind
# `docker:`, of Docker, each to one build at a time, by a folder for each of them. docs/command-runner.md tells the protocol.
#
#   runners = [{ name = "pool", provider = 'command { command = ["examples/command-runner.sh", "tcp://10.0.0.5:1234"] } }]
#
# Needs jq.
set -eu

state="${XDG_STATE_HOME:-$HOME/.local/state}/command-runner"
mkdir -p "$state"
question=$(cat)
op=$(printf %s "$question" | jq -r .op)
lease=$(printf %s "$question" | jq -r .lease.lease)

# The engine of this lease, if it has one: the same question gets the same answer.
held() {
    for taken in "$state"/*/lease; do
        if [ -f "$taken" ] && [ "$(cat "$taken")" = "$lease" ]; then
            dirname "$taken"
            return
        fi
    done
}

name_of() {
    printf %s "$1" | tr -c 'a-zA-Z0-9.\n' '_'
}

case $op in
acquire)
    mine=$(held)
    for engine in "$@"; do
        folder="$state/$(name_of "$engine")"
        # Making a folder succeeds for one of those who try.
        if [ "$mine" = "$folder" ] || mkdir "$folder" 2>/dev/null; then
            printf %s "$lease" >"$folder/lease"
            case $engine in docker:*) kind=docker ;; *) kind=buildkit ;; esac
            jq -n --arg kind "$kind" --arg engine "${engine#docker:}" '{endpoint: {($kind): $engine}, handle: $engine}'
            exit
        fi
    done
    jq -n '{error: {message: "all engines are taken", full: true}}'
    ;;
evidence)
    # Nothing is known of what happened there.
    echo '{}'
    ;;
release)
    mine=$(held)
    if [ -n "$mine" ]; then
        rm -r "$mine"
    fi
    echo '{}'
    ;;
*)
    jq -n --arg op "$op" '{error: {message: ("unknown operation " + $op), passing: false}}'
    ;;
esac
