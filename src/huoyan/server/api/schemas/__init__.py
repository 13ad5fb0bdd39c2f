"""The documents of the API, one module per noun, made from the model's objects."""
