case $1 in
  remove)
    forget_service
    reload_systemd
    ;;
  purge)
    rm -rf "$mask" "$state_folder" "${config%/*}" /var/cache/noderax-agent "$program_folder"
    rmdir "${mask%/*}" 2>/dev/null || true
    reload_systemd
    if getent passwd noderax >/dev/null; then
      echo "The user noderax stays, and what it owns: userdel --remove noderax removes it."
    fi
    ;;
  abort-install)
    if [ -e "$config.kept" ]; then mv "$config.kept" "$config"; fi
    put_back
    ;;
  upgrade | failed-upgrade | abort-upgrade | disappear) ;;
  *)
    complain "postrm is called with an unknown argument: $1"
    exit 1
    ;;
esac
