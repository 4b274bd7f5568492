"""What two configurations make of the same alerts, and of the incidents that are open."""
