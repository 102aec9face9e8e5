# bash completion for plugctl. Installed as bash-completion's plugctl; or: source <(plugctl completion bash)

_plugctl_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_plugctl() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command="" second="" target=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -H | --socket | --root) target+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") && ((i++)) ;;
      -o | --format | --timeout | --plugin | --from | --to | --event | --priority | --every | --file) ((i++)) ;;
      -*) ;;
      *)
        if [[ -z $command ]]; then command=${COMP_WORDS[i]}; elif [[ -z $second ]]; then second=${COMP_WORDS[i]}; fi
        ;;
    esac
  done

  case $previous in
    -H | --socket | --file | --read | --write | --device | -k | --key | -p | --public-key | --output)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    --root | --dir)
      mapfile -t COMPREPLY < <(compgen -d -- "$word")
      return
      ;;
    --format) _plugctl_words "table json" "$word" && return ;;
    -o)
      if [[ $command == key || $command == manifest ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
      else
        _plugctl_words "table json" "$word"
      fi
      return
      ;;
    --type)
      if [[ $command == send || $command == call ]]; then
        _plugctl_words "init shutdown config-update data-request event-notify ai-inference custom" "$word"
        return
      fi
      _plugctl_words "ai-model web-extension p2p-protocol prompt-processor system-optimizer device-driver custom" "$word"
      return
      ;;
    --capability)
      _plugctl_words "can_access_filesystem can_access_network can_access_hardware can_create_processes
        can_access_ai_engine can_modify_system_config custom:" "$word"
      return
      ;;
    --priority) _plugctl_words "low normal high critical" "$word" && return ;;
    --speed) _plugctl_words "as-recorded max" "$word" && return ;;
    --plugin | --from | --to)
      _plugctl_words "$(plugctl "${target[@]}" __names 2>/dev/null)" "$word"
      return
      ;;
    --event | --count | --every | --duration | --size | --pipeline) return ;;
    --timeout | --tail | --set | --limit | -t | --comment) return ;;
  esac

  if [[ $word == -* ]]; then
    local options="-o --format -H --socket --root --timeout -q --quiet --no-color --help"
    case $command in
      load) options+=" --start" ;;
      unload) options+=" --force" ;;
      list | ps) options+=" --type" ;;
      logs) options+=" -f --follow --tail" ;;
      channels) options+=" --plugin --watch --every" ;;
      send) options+=" --type --priority --file --event --no-wait" ;;
      call) options+=" --type --priority --file" ;;
      listen) options+=" --event --from --count" ;;
      bench) options+=" --size --count --pipeline --one-way" ;;
      record) options+=" --count --duration" ;;
      replay) options+=" --to --speed --dry-run --partial" ;;
      sign) options+=" -k --key -t --comment" ;;
      verify) options+=" -p --public-key" ;;
      grant) options+=" --capability --read --write --device --set --limit" ;;
      new) options+=" --dir" ;;
      key | manifest) options+=" --output" ;;
    esac
    _plugctl_words "$options" "$word"
    return
  fi

  case $command in
    "")
      _plugctl_words "load unload start stop suspend resume list ps info why caps deps status logs watch call
        send listen bench channels record replay deadletter
        key sign verify manifest inspect grant grants doctor new completion version" "$word"
      ;;
    unload | start | stop | suspend | resume | info | why | logs | watch | call | send | bench | grant | grants | deps)
      [[ -z $second ]] && _plugctl_words "$(plugctl "${target[@]}" __names 2>/dev/null)" "$word"
      ;;
    caps)
      if [[ -z $second ]]; then
        _plugctl_words "$(plugctl "${target[@]}" __names 2>/dev/null)" "$word"
      else
        _plugctl_words "can_access_filesystem can_access_network can_access_hardware can_create_processes
          can_access_ai_engine can_modify_system_config custom:" "$word"
      fi
      ;;
    deadletter)
      if [[ -z $second ]]; then
        _plugctl_words "list show retry drop" "$word"
      elif [[ $second != list ]]; then
        _plugctl_words "$(plugctl "${target[@]}" __letters 2>/dev/null)" "$word"
      fi
      ;;
    key)
      if [[ -z $second ]]; then _plugctl_words "generate trust list" "$word"; else mapfile -t COMPREPLY < <(compgen -f -- "$word"); fi
      ;;
    manifest)
      if [[ -z $second ]]; then _plugctl_words "check compile embed show" "$word"; else mapfile -t COMPREPLY < <(compgen -f -- "$word"); fi
      ;;
    completion) _plugctl_words "bash" "$word" ;;
    record) [[ -n $second ]] && mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    load | replay | sign | verify | inspect) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
}

complete -o filenames -o bashdefault -F _plugctl plugctl
