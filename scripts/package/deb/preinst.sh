case $1 in
  install)
    take_over
    # dpkg would ask which one to keep; with an old version it knows the file.
    if [ -z "${2-}" ] && [ -e "$config" ]; then mv "$config" "$config.kept"; fi
    ;;
  upgrade | abort-upgrade) ;;
  *)
    complain "preinst is called with an unknown argument: $1"
    exit 1
    ;;
esac
