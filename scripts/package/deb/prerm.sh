case $1 in
  remove)
    stop_service "apt-get remove noderax-agent"
    forget_cache
    ;;
  upgrade | deconfigure | failed-upgrade) ;;
  *)
    complain "prerm is called with an unknown argument: $1"
    exit 1
    ;;
esac
