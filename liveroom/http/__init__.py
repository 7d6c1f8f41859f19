"""What the shop's back end and an operator see: HTTP."""
