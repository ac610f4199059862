"""``winslow demo``: a whole site in one directory: state repository, share, nodes, page, and a real video.

``layout`` makes the files, ``runtime`` chooses how stages run (``build_image`` and ``debian_base`` make the image),
``processes`` starts the nodes, ``page`` serves, ``follow`` shows what happens, ``command`` puts them in order.
"""
