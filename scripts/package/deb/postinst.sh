case $1 in
  configure)
    make_user
    make_link
    if [ -e "$config.kept" ]; then mv "$config.kept" "$config"; fi
    forget_old
    fit_unit
    make_cache
    reload_systemd
    restart_service
    bring_service_back
    say_what_is_next
    ;;
  abort-remove)
    bring_service_back
    ;;
  abort-upgrade | abort-deconfigure) ;;
  *)
    complain "postinst is called with an unknown argument: $1"
    exit 1
    ;;
esac
