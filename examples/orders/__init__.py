"""An e-commerce order pipeline: validate the order, take the payment, update the inventory, send the confirmation."""
