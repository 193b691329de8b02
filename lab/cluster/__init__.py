"""One lab as a whole: plan it, bring it up, wait for it, put it back."""
