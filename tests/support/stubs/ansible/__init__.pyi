# ansible-core ships no types: what this collection uses of it, and nothing else.
