"""The ledger: whether every queue adds up."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.schemas.ledger import LedgerList, account_document

router = APIRouter(tags=["ledger"])


@router.get("/ledger", operation_id="listLedger", summary="Hold every queue against its broker")
def list_ledger(here: Here) -> LedgerList:
    """List every queue with what we know of its runs and what its broker and workers say they hold.

    Figures that a broker did not tell are null, never zero, and `absent` says why.
    """
    found = here.ledger.discrepancies()
    return LedgerList(items=[account_document(account, found) for account in here.ledger.accounts()], next=None)
