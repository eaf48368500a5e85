"""The compiled code of fastmlp; installed as `fastmlp.kernels`. It knows nothing of the face."""

if __name__ == "kernels":
    raise ImportError("this folder is the package fastmlp.kernels; write 'from fastmlp import kernels'")
