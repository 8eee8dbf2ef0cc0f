import { FileView } from '../../components/ReferenceDialog'
import { Dialog } from '../../components/ui'

interface LineDialogProps {
  index: string
  path: string
  line: number
  onClose: () => void
}

/** A file with one line marked. */
export function LineDialog({ index, path, line, onClose }: LineDialogProps) {
  return (
    <Dialog
      title={
        <span className="font-mono text-sm break-all">
          {path}:{line}
        </span>
      }
      width={64}
      onClose={onClose}
    >
      <FileView index={index} path={path} marked={{ start: line, end: line }} />
    </Dialog>
  )
}
