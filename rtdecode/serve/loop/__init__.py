"""The hot loop: a core that decides, what carries its instructions out, and a shell around them."""
