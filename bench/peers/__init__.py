"""What others do: a small Django project of its own with the view of the tutorials and dj-stripe's stock view."""
