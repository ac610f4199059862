"""What the publishing node does besides: proposals, notifications, commit statuses."""
