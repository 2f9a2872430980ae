"""The barest view that one could write with Django REST framework, beside Polaris's own."""
