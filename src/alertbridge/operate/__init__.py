"""What operators and their tools see: health, metrics, logs, the admin API; and the cleaning up behind it all."""
