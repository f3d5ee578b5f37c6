# What is removed for good is followed by no version.
[ "$1" != 0 ] || stop_service "dnf remove noderax-agent"
