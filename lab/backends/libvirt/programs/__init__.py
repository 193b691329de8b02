"""Programs that the harness starts as processes of their own; nothing imports them."""
