# Completion of tokend for fish; goes to /usr/share/fish/vendor_completions.d.
#
# It knows no command and no option: `tokend complete -- WORDS` says what could stand at the cursor.

function __tokend_answers
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for answer in ($program complete -- $words $current 2>/dev/null)
        switch $answer
            case ':files'
                __fish_complete_path $current
            case ':directories'
                __fish_complete_directories $current
            case '*'
                echo $answer
        end
    end
end

complete -c tokend -f -a '(__tokend_answers)'
