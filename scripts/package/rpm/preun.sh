# What is removed for good is followed by no version.
if [ "$1" = 0 ]; then
  stop_service "dnf remove noderax-agent"
  forget_cache
fi
