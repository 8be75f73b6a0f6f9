"""The process that turns released updates into mail: an alarm clock, and the sender."""
