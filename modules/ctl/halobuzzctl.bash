# SPDX-License-Identifier: Apache-2.0
# bash completion for halobuzzctl

_halobuzzctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local common="--settings --json --insecure --verbose --help"
    local roles="host moderator support finance admin superadmin none"

    COMPREPLY=()
    case $prev in
    --settings|--password-file|--users|--gifts|--og-tiers|--prices|--words)
        COMPREPLY=( $(compgen -f -- "$cur") ); return ;;
    --role)
        COMPREPLY=( $(compgen -W "$roles" -- "$cur") ); return ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=( $(compgen -W "check health status routes smoke seed demo og providers notice maintenance user ledger events webhook reconcile bus cache cron refunds backup restore report store version help" -- "$cur") )
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
    "user create")
        COMPREPLY=( $(compgen -W "--email --username --role --verified --password-file $common" -- "$cur") ) ;;
    "user role")
        COMPREPLY=( $(compgen -W "$roles $common" -- "$cur") ) ;;
    "user list")
        COMPREPLY=( $(compgen -W "--staff --limit --after $common" -- "$cur") ) ;;
    "user password")
        COMPREPLY=( $(compgen -W "--password-file $common" -- "$cur") ) ;;
    "user totp")
        COMPREPLY=( $(compgen -W "--remove $common" -- "$cur") ) ;;
    "report day")
        COMPREPLY=( $(compgen -W "--csv $common" -- "$cur") ) ;;
    "report "*)
        COMPREPLY=( $(compgen -W "day" -- "$cur") ) ;;
    "store clean")
        COMPREPLY=( $(compgen -W "--dry-run $common" -- "$cur") ) ;;
    "ledger balance")
        COMPREPLY=( $(compgen -W "--at $common" -- "$cur") ) ;;
    "ledger statement")
        COMPREPLY=( $(compgen -W "--limit --after $common" -- "$cur") ) ;;
    "reconcile "*)
        COMPREPLY=( $(compgen -W "--since --open --json $common" -- "$cur") ) ;;
    "events list")
        COMPREPLY=( $(compgen -W "--order --pending --refused --limit --after $common" -- "$cur") ) ;;
    "events replay")
        COMPREPLY=( $(compgen -W "--pending --refused $common" -- "$cur") ) ;;
    "webhook send")
        COMPREPLY=( $(compgen -W "stripe esewa khalti sandbox --order --user --product --copies $common" -- "$cur") ) ;;
    "events show"|"ledger verify"|"ledger circulation"|"user show"|"user disable"|"user enable"|"store verify"|"store stats"|"store indexes")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "cron run")
        COMPREPLY=( $(compgen -W "--date --no-wait $common" -- "$cur") ) ;;
    "cron history")
        COMPREPLY=( $(compgen -W "--limit --after $common" -- "$cur") ) ;;
    "cron list"|"cron pause"|"cron resume")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "cron "*)
        COMPREPLY=( $(compgen -W "list history run pause resume" -- "$cur") ) ;;
    "bus stats")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "bus tail")
        COMPREPLY=( $(compgen -W "--all --payload --no-follow $common" -- "$cur") ) ;;
    "bus "*)
        COMPREPLY=( $(compgen -W "stats tail" -- "$cur") ) ;;
    "cache flush")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "cache "*)
        COMPREPLY=( $(compgen -W "flush" -- "$cur") ) ;;
    "backup list")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "backup test")
        COMPREPLY=( $(compgen -W "--previous --at --gentle $common" -- "$cur") ) ;;
    "backup unpack")
        COMPREPLY=( $(compgen -f -W "--name --previous --at $common" -- "$cur") ) ;;
    "backup "*)
        COMPREPLY=( $(compgen -W "list test unpack --full --gentle $common" -- "$cur") ) ;;
    "restore "*)
        COMPREPLY=( $(compgen -W "--previous --at --live $common" -- "$cur") ) ;;
    "store copy")
        COMPREPLY=( $(compgen -W "sqlite: mongodb:// file: configured --live --force $common" -- "$cur") ) ;;
    "store reindex")
        COMPREPLY=( $(compgen -W "--all $common" -- "$cur") ) ;;
    "store backup")
        COMPREPLY=( $(compgen -f -- "$cur") ) ;;
    "user "*)
        COMPREPLY=( $(compgen -W "create role list show disable enable password totp" -- "$cur") ) ;;
    "ledger "*)
        COMPREPLY=( $(compgen -W "verify balance statement circulation" -- "$cur") ) ;;
    "events "*)
        COMPREPLY=( $(compgen -W "list show replay" -- "$cur") ) ;;
    "webhook "*)
        COMPREPLY=( $(compgen -W "send" -- "$cur") ) ;;
    "store "*)
        COMPREPLY=( $(compgen -W "backup verify clean stats copy indexes reindex" -- "$cur") ) ;;
    "og bonus")
        COMPREPLY=( $(compgen -W "--date $common" -- "$cur") ) ;;
    "notice send")
        COMPREPLY=( $(compgen -W "--all --user --users --role --country --language --og --registered-before --kind --title --text --title-ne --text-ne --data --happened-at --mail --sms --push --no-push --at --key $common" -- "$cur") ) ;;
    "notice list")
        COMPREPLY=( $(compgen -W "--limit --after $common" -- "$cur") ) ;;
    "notice show"|"notice cancel")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "notice test")
        COMPREPLY=( $(compgen -W "sms push team $common" -- "$cur") ) ;;
    "notice "*)
        COMPREPLY=( $(compgen -W "send list show cancel test" -- "$cur") ) ;;
    "maintenance plan")
        COMPREPLY=( $(compgen -W "--at --until --reason --mail --push $common" -- "$cur") ) ;;
    "maintenance list")
        COMPREPLY=( $(compgen -W "--limit --after $common" -- "$cur") ) ;;
    "maintenance cancel")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "maintenance "*)
        COMPREPLY=( $(compgen -W "plan list cancel" -- "$cur") ) ;;
    "providers check")
        COMPREPLY=( $(compgen -W "stripe esewa khalti sandbox $common" -- "$cur") ) ;;
    "providers "*)
        COMPREPLY=( $(compgen -W "check" -- "$cur") ) ;;
    "og "*)
        COMPREPLY=( $(compgen -W "bonus" -- "$cur") ) ;;
    "demo "*)
        COMPREPLY=( $(compgen -W "--gifts $common" -- "$cur") ) ;;
    "refunds resume")
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    "refunds "*)
        COMPREPLY=( $(compgen -W "resume" -- "$cur") ) ;;
    "seed "*)
        COMPREPLY=( $(compgen -W "--demo --gifts --og-tiers --prices --words $common" -- "$cur") ) ;;
    "help "*)
        COMPREPLY=( $(compgen -W "check health status routes smoke seed demo og providers notice maintenance user ledger events webhook reconcile bus cache cron refunds backup restore report store version" -- "$cur") ) ;;
    *)
        COMPREPLY=( $(compgen -W "$common" -- "$cur") ) ;;
    esac
}
complete -F _halobuzzctl halobuzzctl
