"""The documents of the API, one module per noun. They are made from the model's objects and know nothing of the store."""
