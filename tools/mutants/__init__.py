"""Changes the product by one operator or constant at a time, and asks whether a test notices."""
