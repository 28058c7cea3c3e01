"""
Where does a store keep its lines?

In `memory`, in `files`, or in `redis`: each holds its stores, and imports the library that it needs.
"""
