"""What is in a file? Told from its bytes, in bounded time, and never by trusting them."""
