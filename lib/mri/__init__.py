"""What magnetic resonance imaging alone needs."""
