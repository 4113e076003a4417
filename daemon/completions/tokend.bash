# Completion of tokend for bash; goes to /usr/share/bash-completion/completions/tokend, or is read with `source`.
#
# It knows no command and no option: `tokend complete -- WORDS` says what could stand at the cursor.

_tokend() {
    local program=${1/#\~\//$HOME/} piece=$2 line=$COMP_LINE words=() word answer i prefix
    # bash cuts words at = and @ and :, which are parts of ours. What follows without a blank belongs together.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $line != [[:space:]]* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
            line=${line#"${line%%[![:space:]]*}"}
        fi
        line=${line#"$word"}
    done
    word=${words[${#words[@]} - 1]}
    prefix=${word%"$piece"}
    COMPREPLY=()
    while IFS= read -r answer; do
        case $answer in
            :files)
                compopt -o filenames 2>/dev/null
                while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$piece")
                ;;
            :directories)
                compopt -o filenames 2>/dev/null
                while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$piece")
                ;;
            *)
                word=${answer%%$'\t'*}
                COMPREPLY+=("${word#"$prefix"}")
                ;;
        esac
    done < <("$program" complete -- "${words[@]:1}" 2>/dev/null)
}

complete -F _tokend tokend
