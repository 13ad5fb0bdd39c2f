"""Take events in, append them, acknowledge them; everything slow happens later."""
