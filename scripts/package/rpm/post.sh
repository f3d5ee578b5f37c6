make_user
make_link
# An earlier removal has set it aside, and what lies there is the one that every package brings.
if [ "$1" = 1 ] && [ -e "$config.rpmsave" ] && ! grep -q '"api_url"' "$config"; then
  mv "$config.rpmsave" "$config"
fi
forget_old
fit_unit
make_cache
reload_systemd
restart_service
bring_service_back
say_what_is_next
