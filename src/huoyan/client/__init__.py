"""Report tasks from inside other people's processes, without ever standing in their way."""
