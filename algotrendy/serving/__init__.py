"""How web and the door are served: bounds of what strangers may send and hold open, and what every answer gets."""
