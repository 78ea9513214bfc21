import type { EncodedPacket, EncodedPacketSink } from 'mediabunny';
import { VideoError } from './errors';
import type { MatroskaSource } from './matroska-source';
import type { SampleReader } from './sample-reader';
import type { Samples } from './video-file';

/** Reads samples of a scanned file through its demuxer; their positions are the packets' sequence numbers. */
export class PacketReader implements SampleReader {
  private packet: EncodedPacket | null = null;
  private sample = -1;

  constructor(
    private readonly name: string,
    private readonly sink: EncodedPacketSink,
    private readonly samples: Pick<Samples, 'positions' | 'timestamps'>,
    private readonly source: Pick<MatroskaSource, 'begin'>,
  ) {}

  async read(sample: number): Promise<Uint8Array> {
    const position = this.samples.positions[sample]!;
    const packet = await this.find(sample, position).catch((cause) => {
      if (cause instanceof VideoError) throw cause;
      throw new VideoError(
        'corrupt',
        `${this.name} is damaged: a frame cannot be found again.`,
        'Get the file again from where it came, or choose another video.',
        { cause },
      );
    });
    if (packet?.sequenceNumber !== position) {
      throw new VideoError(
        'unreadable',
        `${this.name} has changed since it was opened: a frame is no longer where it was.`,
        'Choose the video again.',
      );
    }
    this.packet = packet;
    this.sample = sample;
    return packet.data;
  }

  private async find(sample: number, position: number): Promise<EncodedPacket | null> {
    this.source.begin();
    const next = this.packet && sample === this.sample + 1;
    let packet = next ? await this.sink.getNextPacket(this.packet!) : await this.near(sample, position);
    while (packet && packet.sequenceNumber < position) {
      this.source.begin();
      packet = await this.sink.getNextPacket(packet);
    }
    return packet;
  }

  /** A packet at or before a sample's. */
  private async near(sample: number, position: number): Promise<EncodedPacket | null> {
    const packet = await this.sink.getPacket(this.samples.timestamps[sample]! / 1e6);
    // Files that repeat times or go back in them are walked from the start.
    return packet && packet.sequenceNumber <= position ? packet : this.sink.getFirstPacket();
  }
}
