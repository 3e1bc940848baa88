"""What happens by itself: tasks that run beside the requests."""
