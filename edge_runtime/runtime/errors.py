"""Errors of the container runtime.

RuntimeServiceError            a CRI call failed; carries the method and the runtime's own text
├── InvalidArgument            it understood and refuses: the request can never work
├── NotFound                   no such container, sandbox or image
├── AlreadyExists              the name is taken by an earlier attempt
├── ResourceExhausted          too much at once, or an answer above the receive limit
├── FailedPrecondition         the thing is in the wrong state for it
├── Unimplemented              this runtime does not know the call
├── Unavailable                nobody answers on the socket
├── DeadlineExceeded           no answer within the call's deadline
└── UnknownFailure             everything else; the runtime's text is all there is
"""

from __future__ import annotations


class RuntimeServiceError(Exception):
    """Base of every failure of a CRI call.

    Attributes:
        method: Name of the RPC, ``RunPodSandbox``.
        message: The runtime's own text.
    """

    # gRPC status code (grpc/doc/statuscodes.md); 2 is UNKNOWN.
    grpc_code = 2

    def __init__(self, *, method: str, message: str) -> None:
        super().__init__(method, message)
        self.method = method
        self.message = message

    def __str__(self) -> str:
        return f"{self.method}: {self.message}"

    @property
    def grpc_name(self) -> str:
        """The code's name as Go writes it into messages: ``Unknown``, ``DeadlineExceeded``."""
        return "Unknown" if self.grpc_code == UnknownFailure.grpc_code else type(self).__name__


class InvalidArgument(RuntimeServiceError):
    """The runtime refuses the request as it is."""

    grpc_code = 3


class DeadlineExceeded(RuntimeServiceError):
    """No answer in time; what was asked may still happen."""

    grpc_code = 4


class NotFound(RuntimeServiceError):
    """The container, sandbox or image is not there."""

    grpc_code = 5


class AlreadyExists(RuntimeServiceError):
    """The name is reserved by an earlier call, which may still be running."""

    grpc_code = 6


class ResourceExhausted(RuntimeServiceError):
    """The runtime has too much to do, or its answer is larger than we take."""

    grpc_code = 8


class FailedPrecondition(RuntimeServiceError):
    """The container or sandbox is in a state that does not allow it."""

    grpc_code = 9


class Unimplemented(RuntimeServiceError):
    """The runtime does not have this call; older ones lack the newer calls."""

    grpc_code = 12


class Unavailable(RuntimeServiceError):
    """The runtime does not answer: not started, stopped, or the socket is not there."""

    grpc_code = 14


class UnknownFailure(RuntimeServiceError):
    """A failure that the runtime gave no class to: its text says what it is."""

    grpc_code = 2


def rpc_error_text(error: RuntimeServiceError) -> str:
    """Write a failed call as Go's gRPC does: ``rpc error: code = NotFound desc = no such task``.

    Source: google.golang.org/grpc/internal/status ``Error.Error``.
    """
    return f"rpc error: code = {error.grpc_name} desc = {error.message}"


BY_CODE: dict[int, type[RuntimeServiceError]] = {
    error.grpc_code: error
    for error in (
        UnknownFailure,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        ResourceExhausted,
        FailedPrecondition,
        Unimplemented,
        Unavailable,
    )
}
