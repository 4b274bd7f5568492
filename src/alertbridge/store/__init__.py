"""What must survive a crash: the only room that holds SQL."""
