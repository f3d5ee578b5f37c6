take_over
# An earlier removal has set it aside.
if [ ! -e "$config" ] && [ -e "$config.rpmsave" ]; then mv "$config.rpmsave" "$config"; fi
