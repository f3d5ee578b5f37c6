if [ "$1" = 0 ]; then
  forget_service
fi
reload_systemd
